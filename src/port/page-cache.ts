/** What was fetched before, by URL. Losing it costs a download, nothing else: what cannot be read is not there, what cannot be kept is not. */
export type PageCache = {
  load(url: string): CachedPage | undefined
  save(url: string, page: CachedPage): void
}

/** At least one of the validators is there. `content` is what was made of the body. */
export type CachedPage = { readonly etag?: string | undefined; readonly lastModified?: string | undefined; readonly content: Uint8Array }
