/** What was fetched before, by URL. Losing it costs a download, nothing else: what cannot be read is not there, what cannot be kept is not. */
export type PageCache = {
  load(url: string): CachedPage | undefined
  save(url: string, page: Validators & { readonly content: Uint8Array }): void
}

/** Those of the server. */
export type Validators = { readonly etag?: string | undefined; readonly lastModified?: string | undefined }

/** `content` is what was made of the body. It is read when it is asked for, and undefined where another page has taken its place meanwhile. */
export type CachedPage = Validators & { readonly size: number; readonly content: () => Uint8Array | undefined }
