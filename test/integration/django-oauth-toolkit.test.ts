/** A real server whose introspection endpoint takes a bearer token: the way of the own token, from end to end. */
import { expect } from 'chai'
import { after, before, describe, it } from 'mocha'
import { type Django, djangoOrSkip, post, startDjango } from '../support/django.ts'

describe('django-oauth-toolkit as it is', function () {
  this.timeout(180_000)
  let django: Django

  before(async function () {
    django = await startDjango(djangoOrSkip(this))
  })

  after(() => django?.close())

  async function own(form: Readonly<Record<string, string>>, client = django.clientCredentials) {
    const answer = await django.requestToken(client, { scope: 'introspection', ...form })
    expect(answer.status).to.equal(200)
    return Object(await answer.json())
  }

  const byPassword = () =>
    own(
      { grant_type: 'password', username: django.password.username, password: django.password.password },
      django.password,
    )

  const introspect = (token: string, bearer: string) =>
    post(django.introspectUrl, { token }, { authorization: `Bearer ${bearer}` })

  it('gives an own token by client credentials, and introspects for who bears it', async () => {
    const answer = await own({ grant_type: 'client_credentials' })
    expect(answer).to.include({ token_type: 'Bearer', scope: 'introspection', expires_in: 60 })
    expect(answer).to.not.have.property('refresh_token')
    const introspected = await introspect(await django.userToken(), answer.access_token)
    expect(introspected.status).to.equal(200)
    const claims = Object(await introspected.json())
    expect(claims).to.include({ active: true, scope: 'orders:read', client_id: 'shop', username: 'alice' })
    expect(claims).to.not.have.any.keys('sub', 'iss', 'token_type')
  })

  it('answers a dead own token with 403: no body, no challenge', async () => {
    const { access_token: bearer } = await own({ grant_type: 'client_credentials' })
    await django.expire(django.clientCredentials)
    const answer = await introspect(await django.userToken(), bearer)
    expect(answer.status).to.equal(403)
    expect(answer.headers.get('content-type')).to.match(/^text\/html/)
    expect(answer.headers.get('www-authenticate')).to.equal(null)
    expect(await answer.text()).to.equal('')
  })

  it('answers a token without the scope introspection in the same way', async () => {
    const token = await django.userToken()
    expect((await introspect(token, token)).status).to.equal(403)
  })

  it('kills the old access token the moment it is refreshed, and rotates the refresh token', async () => {
    const first = await byPassword()
    const token = await django.userToken()
    expect((await introspect(token, first.access_token)).status).to.equal(200)
    const second = await own({ grant_type: 'refresh_token', refresh_token: first.refresh_token }, django.password)
    expect(second.refresh_token).to.not.equal(first.refresh_token)
    expect((await introspect(token, first.access_token)).status).to.equal(403)
    expect((await introspect(token, second.access_token)).status).to.equal(200)
  })

  it('takes a refresh token once: the second use ends the whole family', async () => {
    const first = await byPassword()
    const refresh = (refresh_token: string) =>
      django.requestToken(django.password, { grant_type: 'refresh_token', refresh_token })
    const second = Object(await (await refresh(first.refresh_token)).json())
    const again = await refresh(first.refresh_token)
    expect([again.status, await again.json()]).to.deep.equal([400, { error: 'invalid_grant' }])
    expect((await refresh(second.refresh_token)).status).to.equal(400)
  })

  it('refreshes although the access token is expired', async () => {
    const first = await byPassword()
    await django.expire(django.password)
    const form = { grant_type: 'refresh_token', refresh_token: first.refresh_token }
    expect(await own(form, django.password)).to.have.property('access_token')
  })

  it('redirects a path without its trailing slash', async () => {
    const answer = await post(django.introspectUrl.slice(0, -1), { token: 'x' })
    expect(answer.status).to.equal(301)
  })

  it('counts what it was asked, by grant and by status', async () => {
    const fresh = await django.counts()
    await own({ grant_type: 'client_credentials' })
    await introspect('a-token-of-nobody', 'nobody')
    const counts = await django.counts()
    const more = (name: string): number => (counts[name] ?? 0) - (fresh[name] ?? 0)
    expect(more('token.client_credentials')).to.equal(1)
    expect(more('introspect.403')).to.equal(1)
    expect(more('token.password')).to.equal(0)
  })
})
