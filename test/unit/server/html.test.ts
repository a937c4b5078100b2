import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { escapeHtml, html } from '../../../src/server/html.ts'

describe('html', () => {
  it('makes text of what is put in, whatever it is', () => {
    const hostile = `</td><script>alert("1")</script>' onload='x' &amp;`
    expect(html`<td title="${hostile}">${hostile}</td>`.markup).to.equal(
      '<td title="&lt;/td&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39; onload=&#39;x&#39; &amp;amp;">' +
        '&lt;/td&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39; onload=&#39;x&#39; &amp;amp;</td>',
    )
  })

  it('keeps what is HTML already, and lists of it', () => {
    expect(html`<ul>${['<a>', 'b'].map((item) => html`<li>${item}</li>`)}</ul>${3}`.markup).to.equal(
      '<ul><li>&lt;a&gt;</li><li>b</li></ul>3',
    )
  })

  it('is not fooled by an object that looks like HTML', () => {
    const lookalike: unknown = { markup: '<script>' }
    expect(() => html`${lookalike as string}`.markup).to.throw()
  })

  it('shows control, bidirectional and invisible characters by their number', () => {
    expect(escapeHtml('a\u202eb\u0000c\u200dd\u2066e\ud800f\u2028g')).to.equal(
      'a\\u{202e}b\\u{0}c\\u{200d}d\\u{2066}e\\u{d800}f\\u{2028}g',
    )
    expect(escapeHtml('/péché/日本/🙂')).to.equal('/péché/日本/🙂')
  })

  it('property: no text brings a tag, a quote or an entity of its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeHtml(text)).to.match(/^(?:[^<>"'&]|&(?:amp|lt|gt|quot|#39);)*$/)
      }),
    )
  })
})
