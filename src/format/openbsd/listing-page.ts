import { isFileName } from './index-txt.ts'

/** The names in a web server's page of a folder: as pkg_add reads it, `<A HREF="name">` in any case, with `%xx` decoded. */
export function namesInListing(page: string): readonly string[] {
  const found = [...page.matchAll(/<a\s[^>]*?href="([^"/?#]{1,400})"/gi)].map((match) => decoded(match[1] as string))
  return [...new Set(found.filter((name) => name !== undefined && isFileName(name)))] as string[]
}

function decoded(name: string): string | undefined {
  try {
    return decodeURIComponent(name)
  } catch {
    return undefined
  }
}
