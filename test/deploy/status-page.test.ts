/** The status page in a real Chromium: what it shows, what it does not do, how it looks on a phone and in the dark. */
import { expect } from 'chai'
import { after, afterEach, before, beforeEach, describe, it } from 'mocha'
import { basicConfig, startTestApp, type TestApp } from '../support/app.ts'
import { type CheckClient, connectChecks, httpCheck } from '../support/check-client.ts'
import { type Chromium, type Page, startChromium } from '../support/chromium.ts'
import { type ScriptedKeyManager, startKeyManager } from '../support/key-manager.ts'
import { needTool } from '../support/tool.ts'

const HOSTILE = `/</code><script>document.title='taken'</script><img src="http://elsewhere.example/x.png" onerror="document.title='taken'"><style>body{display:none}</style>`

describe('the status page in a real Chromium', function () {
  this.timeout(120_000)
  let browser: Chromium
  let keyManager: ScriptedKeyManager
  let sidecar: TestApp
  let checks: CheckClient
  let page: Page
  let origin: string

  before(async function () {
    browser = await startChromium(needTool(this, 'chromium'))
  })
  // Undefined where the suite was skipped.
  after(() => browser?.close())

  beforeEach(async () => {
    keyManager = await startKeyManager()
    keyManager.tokens.set('good', { active: true, client_id: 'shop', scope: 'orders' })
    sidecar = await startTestApp(basicConfig(keyManager.url))
    checks = connectChecks(sidecar.app.addresses.extAuthz[0] ?? '')
    origin = `http://${sidecar.app.addresses.localAdmin}`
    page = await browser.newPage()
  })
  afterEach(async () => {
    checks.close()
    await sidecar.close()
    await keyManager.close()
  })

  async function ask(token: string | undefined, path = '/orders', host = 'api.example.com'): Promise<void> {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    await checks.check(httpCheck({ path, host, headers }))
  }

  const text = (selector: string): Promise<unknown> =>
    page.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`)

  it('shows what happened, styled, without a complaint of the browser and without a request elsewhere', async () => {
    await ask('good')
    await ask('good')
    await ask('gone')
    await page.open(`${origin}/`)
    expect(await text('.verdict strong')).to.equal('Answering')
    expect(await text('#memory'))
      .to.contain('1 of 10,000')
      .and.to.contain('33.3 % of 3 look-ups')
    expect(await text('#refused')).to.contain('inactive_token')
    // Its own style sheet is in force: the digest in the policy is the right one.
    expect(await page.evaluate('getComputedStyle(document.querySelector("section")).borderTopStyle')).to.equal('solid')
    expect(page.complaints).to.deep.equal([])
    expect(page.requests.filter((url) => !url.startsWith(`${origin}/`))).to.deep.equal([])
    expect(page.requests).to.include(`${origin}/`)
  })

  it('leads from a decision id to that decision', async () => {
    await ask('gone', '/first')
    await ask(undefined, '/second')
    await page.open(`${origin}/`)
    const id = String(await text('.rows a[href^="/decisions/"]'))
    await page.follow('.rows a[href^="/decisions/"]')
    expect(await page.evaluate('location.pathname')).to.equal(`/decisions/${id}`)
    const shown: unknown = JSON.parse(String(await text('pre')))
    expect(shown).to.include({ decision_id: id, reason: 'missing_credentials', path: '/second' })
  })

  it('runs nothing and loads nothing of what a request brought', async () => {
    await ask('gone', HOSTILE, `h"><script>document.title='taken'</script>`)
    await page.open(`${origin}/`)
    expect(await page.evaluate('document.title')).to.match(/^Answering/)
    expect(await page.evaluate('document.querySelectorAll("script, img, style").length')).to.equal(1)
    expect(await text('#refused')).to.contain("<script>document.title='taken'</script>")
    expect(page.complaints).to.deep.equal([])
    expect(page.requests.filter((url) => !url.startsWith(`${origin}/`))).to.deep.equal([])
  })

  it('would stop a script, an image and a style that got onto it all the same', async () => {
    await page.open(`${origin}/`)
    await page.evaluate(`new Promise((resolve) => {
      const script = document.createElement('script'); script.textContent = "document.title = 'taken'"
      const style = document.createElement('style'); style.textContent = 'body{display:none}'
      const image = document.createElement('img'); image.onerror = resolve; image.src = 'http://elsewhere.example/x.png'
      document.body.append(script, style, image)
    })`)
    expect(await page.evaluate('document.title')).to.not.equal('taken')
    expect(await page.evaluate('getComputedStyle(document.body).display')).to.equal('block')
    expect(page.complaints.filter((one) => one.includes('ContentSecurityPolicyIssue')).length).to.be.at.least(3)
  })

  it('cannot be framed', async () => {
    // From a page of the same listener: even that may not.
    await page.open(`${origin}/decisions`)
    await page.evaluate(`new Promise((resolve) => {
      const frame = document.createElement('iframe'); frame.onload = resolve; frame.src = '/'; document.body.append(frame)
    })`)
    expect(
      await page.evaluate('document.querySelector("iframe").contentDocument?.querySelector(".verdict") ?? null'),
    ).to.equal(null)
    expect(page.complaints.join()).to.match(/frame|Content Security Policy/i)
  })

  for (const scheme of ['light', 'dark'] as const) {
    it(`needs no sideways scrolling on a phone of 360 pixels, with long texts too (${scheme})`, async () => {
      await ask('gone', `/${'a'.repeat(900)}`, `${'b'.repeat(250)}.example.com`)
      await page.prefer(scheme)
      await page.resize(360, 740)
      await page.open(`${origin}/`)
      await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true')
      expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(360)
      const outside = await page.evaluate(`[...document.querySelectorAll('body *')]
        .filter((one) => !one.closest('thead') && one.getBoundingClientRect().right > 360.5).map((one) => one.outerHTML.slice(0, 80))`)
      expect(outside).to.deep.equal([])
    })

    it(`has every text at a contrast of 4.5 or more (${scheme})`, async () => {
      await ask('good')
      await ask('gone')
      keyManager.answer({ status: 500 })
      for (let n = 0; n < 6; n += 1) await ask(`failing-${n}`)
      await page.prefer(scheme)
      await page.open(`${origin}/`)
      const lowest = await page.evaluate(CONTRAST)
      expect(lowest).to.have.property('ratio').that.is.at.least(4.5)
      expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).to.equal(
        scheme === 'dark' ? 'rgb(21, 23, 26)' : 'rgb(255, 255, 255)',
      )
    })
  }

  it('shows each of several workers, on a phone too', async () => {
    const several = await startTestApp(basicConfig(keyManager.url), { flags: { 'extAuthz.workers': '2' } })
    try {
      await page.resize(360, 740)
      await page.open(`http://${several.app.addresses.localAdmin}/`)
      expect(await page.evaluate('document.querySelectorAll("#workers tbody tr").length')).to.equal(2)
      expect(await text('#workers')).to.contain('closed')
      expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(360)
      expect(page.complaints).to.deep.equal([])
    } finally {
      await several.close()
    }
  })

  it('says in words that the breaker is open', async () => {
    keyManager.answer({ status: 500 })
    for (let n = 0; n < 5; n += 1) await ask(`failing-${n}`)
    await page.open(`${origin}/`)
    expect(await text('.verdict strong')).to.equal(
      'Key manager unreachable: breaker open, Checks without a remembered answer get 503',
    )
    expect(await text('#key-manager')).to.contain('server_error')
  })
})

/** WCAG 2.2: the lowest contrast ratio of a text on what is behind it. */
const CONTRAST = `(() => {
  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number)
  const luminance = ([r, g, b]) => [r, g, b]
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0)
  const behind = (one) => {
    const color = channels(getComputedStyle(one).backgroundColor)
    return color.length === 3 || color[3] === 1 ? color : one.parentElement === null ? [255, 255, 255] : behind(one.parentElement)
  }
  const ratios = [...document.querySelectorAll('body, body *')]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== ''))
    .map((one) => {
      const [a, b] = [luminance(channels(getComputedStyle(one).color)), luminance(behind(one))].sort((x, y) => y - x)
      return { ratio: (a + 0.05) / (b + 0.05), text: one.textContent.slice(0, 40) }
    })
  return ratios.sort((x, y) => x.ratio - y.ratio)[0]
})()`
