/** JSON for a terminal: what moves its cursor or turns its text around, and can come with a request, is escaped. */

/** C1 and format characters (bidirectional overrides among them), line and paragraph separators. JSON escapes C0 itself. */
const UNSEEN = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

/** `json`: JSON text, in which such characters can stand in strings only. It means the same afterwards. */
export function visibleJson(json: string): string {
  return json.replace(UNSEEN, (character) =>
    Array.from({ length: character.length }, (_, at) => escaped(character.charCodeAt(at))).join(''),
  )
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}
