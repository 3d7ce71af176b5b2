/** What was fetched before, by URL. Losing it costs a download, nothing else: what cannot be read is not there, what cannot be kept is not. */
export type PageCache = {
  load(url: string): CachedPage | undefined
  save(url: string, page: CachedPage): void
}

/** `content` is what was made of the body; the validators are those of the server. */
export type CachedPage = { readonly etag?: string | undefined; readonly lastModified?: string | undefined; readonly content: Uint8Array }
