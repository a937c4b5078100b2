/** HTML in which nothing can be forgotten to be escaped: what is put into a template is text, unless it is HTML already. */

/** Made by `html` alone. */
export class Html {
  readonly markup: string

  constructor(markup: string) {
    this.markup = markup
  }
}

type Part = string | number | Html | readonly Html[]

/** Text becomes text, HTML stays, a list is put one after the other. Attributes must be written in quotes. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((text, index) => text + markupOf(parts[index] ?? '')).join(''))
}

export const NOTHING = html``

function markupOf(part: Part): string {
  if (part instanceof Html) return part.markup
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part))
  return part.map(({ markup }) => markup).join('')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Control and format characters are shown by their number: a bidirectional override makes one path look like another. */
export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"'\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => ENTITIES[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}
