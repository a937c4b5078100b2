import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { errorsOf, GOOD, load } from './writing.ts'

const GARBAGE = '-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n'

describe('certificates and keys in the configuration', () => {
  let own: Certificates
  let other: Certificates
  let texts: { ca: string; cert: string; key: string; otherCa: string }
  before(() => {
    own = makeCertificates()
    other = makeCertificates()
    const read = (file: string): string => readFileSync(file, 'utf8')
    texts = {
      ca: own.server.ca,
      cert: read(own.clientCertFile),
      key: read(own.clientKeyFile),
      otherCa: other.server.ca,
    }
  })
  after(() => {
    own.remove()
    other.remove()
  })

  const file = (text: string): string => {
    const path = join(own.directory, 'written.pem')
    writeFileSync(path, text)
    return path
  }
  const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' })
  const tls = (table: string, keys: Readonly<Record<string, string>>): string =>
    `${GOOD}[${table}]\n${Object.entries(keys)
      .map(([key, path]) => `${key} = "${path}"\n`)
      .join('')}`

  for (const table of ['keyManager.tls', 'extAuthz.tls']) {
    it(`loads a pair that belongs together below [${table}]`, () => {
      expect(load(tls(table, { certFile: own.clientCertFile, keyFile: own.clientKeyFile })).problems).to.deep.equal([])
    })

    it(`loads chain and key from one file below [${table}], with a byte-order mark and other line ends`, () => {
      const path = file(`\uFEFF${texts.cert}${texts.ca}${texts.key}`.replaceAll('\n', '\r\n'))
      expect(load(tls(table, { certFile: path, keyFile: path })).problems).to.deep.equal([])
    })

    it(`refuses the key of another certificate below [${table}], both files named`, () => {
      const loaded = load(tls(table, { certFile: own.clientCertFile, keyFile: other.clientKeyFile }))
      expect(errorsOf(loaded)).to.have.length(1)
      expect(errorsOf(loaded)[0])
        .to.match(new RegExp(`^${table}: .*not usable together`))
        .and.contain(own.clientCertFile)
        .and.contain(other.clientKeyFile)
      expect(loaded.problems[0]?.line).to.equal(8)
    })

    it(`refuses a key of another kind below [${table}], which OpenSSL takes`, () => {
      const key = openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048')
      const loaded = load(tls(table, { certFile: own.clientCertFile, keyFile: file(key) }))
      expect(errorsOf(loaded).join()).to.match(new RegExp(`^${table}: .*not usable together`))
    })

    it(`refuses what TLS holds too weak below [${table}]`, () => {
      const keyFile = join(own.directory, 'weak.key')
      const weak = ['-x509', '-newkey', 'rsa:1024', '-nodes', '-subj', '/CN=weak', '-days', '2', '-keyout', keyFile]
      const loaded = load(tls(table, { certFile: file(openssl('req', ...weak)), keyFile }))
      expect(errorsOf(loaded).join()).to.contain('TLS refuses them (ERR_SSL_EE_KEY_TOO_SMALL)')
    })

    it(`refuses garbage for certificate and key below [${table}], each under its key`, () => {
      const path = file(GARBAGE)
      const loaded = load(tls(table, { certFile: path, keyFile: path }))
      expect(errorsOf(loaded)).to.have.length(2)
      expect(errorsOf(loaded)[0]).to.match(new RegExp(`^${table}.certFile: .*${path} has a certificate that cannot be`))
      expect(errorsOf(loaded)[1]).to.match(new RegExp(`^${table}.keyFile: .*${path} holds no private key`))
      expect(loaded.problems.map(({ line }) => line)).to.deep.equal([9, 10])
    })

    it(`refuses a key with a passphrase below [${table}], and says how to write it`, () => {
      const encrypted = openssl('pkey', '-in', own.clientKeyFile, '-aes256', '-passout', 'pass:canary')
      const loaded = load(tls(table, { certFile: own.clientCertFile, keyFile: file(encrypted) }))
      expect(errorsOf(loaded).join()).to.match(new RegExp(`^${table}.keyFile: .*passphrase.*openssl pkey`))
    })

    it(`puts nothing of a key below [${table}] into a problem`, () => {
      const body = texts.key.split('\n').slice(1, -2)
      const keys = [texts.key.replace('-----END', '-----end'), body.join('\n'), `-----BEGIN \n${body.join('\n')}`]
      for (const key of keys) {
        const loaded = load(tls(table, { certFile: own.clientCertFile, keyFile: file(key) }))
        expect(loaded.ok).to.equal(false)
        for (const line of body) expect(JSON.stringify(loaded)).to.not.contain(line)
      }
    })
  }

  for (const [table, key] of [
    ['keyManager.tls', 'caFile'],
    ['extAuthz.tls', 'clientCaFile'],
  ] as const) {
    const authorities = (text: string): string =>
      tls(table, {
        ...(table === 'extAuthz.tls' ? { certFile: own.clientCertFile, keyFile: own.clientKeyFile } : {}),
        [key]: file(text),
      })

    it(`loads a bundle with text between the authorities as ${table}.${key}`, () => {
      const bundle = `# One ü\n${texts.ca}\nAnother\n=======\n${texts.otherCa}`
      expect(load(authorities(bundle)).problems).to.deep.equal([])
    })

    const refused: Readonly<Record<string, readonly [() => string, RegExp]>> = {
      'a certificate that is none': [() => GARBAGE, /cannot be read \(1 of 1, line 1\)/],
      'the second of three that is broken': [
        () => texts.ca + GARBAGE + texts.otherCa,
        /cannot be read \(2 of 3, line \d+\)/,
      ],
      'a certificate that is cut off': [
        () => texts.ca + texts.otherCa.slice(0, 200),
        /cannot be read \(2 of 2, line \d+\)/,
      ],
      'one that ends within the next': [
        () => texts.ca.replace(/-----END.*\n/, '') + texts.otherCa,
        /cannot be read \(1 of 2, line 1\)/,
      ],
      'BEGIN and rubbish': [
        () => '-----BEGIN \u0001\u0002 rubbish\n',
        /other than PEM behind the "-----BEGIN" of line 1/,
      ],
      'a key alone': [() => texts.key, /holds no certificate/],
    }
    for (const [what, [text, said]] of Object.entries(refused)) {
      it(`refuses ${what} as ${table}.${key}`, () => {
        const errors = errorsOf(load(authorities(text())))
        expect(errors).to.have.length(1)
        expect(errors[0])
          .to.match(said)
          .and.match(new RegExp(`^${table}.${key}: .*/written.pem .*Put whole PEM`))
      })
    }
  }
})
