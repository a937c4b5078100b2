/** Ways to write one path, so that a proxy that matches routes by their text takes another route than the upstream's. */

/** Each is `/folder/name` to some server behind Envoy; `folder` without slashes. */
export const spellings = (folder: string, name: string): readonly string[] => [
  `/${folder}/${name}`,
  `//${folder}/${name}`,
  // Servers that cut parameters from each segment (Tomcat).
  `/;/${folder}/${name}`,
  `/;x=1/${folder}/${name}`,
  `/${folder};a=1/${name}`,
  `/%${folder.charCodeAt(0).toString(16)}${folder.slice(1)}/${name}`,
  `/x/../${folder}/${name}`,
  `/x/%2e%2e/${folder}/${name}`,
  `/x/..;/${folder}/${name}`,
  `/x/%2e%2e;/${folder}/${name}`,
  // Servers that decode before they resolve dots, or once more after it.
  `/x/..%2f${folder}/${name}`,
  `/x%2f..%2f${folder}/${name}`,
  `/healthz%2f..%2f${folder}/${name}`,
  `/x/..%5c${folder}/${name}`,
  `/x/%252e%252e/${folder}/${name}`,
]

/**
 * Paths that begin as the folder's do and are not below it. Each is spelt so that a prefix of text finds it, and so that it does
 * not: where the two are judged differently, route and rule do not cover the same.
 */
export const neighbours = (folder: string): readonly string[] =>
  ['.html', '.json', 's', '-archive/7'].flatMap((suffix) => [`/${folder}${suffix}`, `/;/${folder}${suffix}`])
