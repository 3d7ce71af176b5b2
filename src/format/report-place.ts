import { BinderyError } from '../base/error.ts'

/** Where a machine leaves its reports: a controller that is asked by POST, a folder, or where rsync goes. */
export type ReportPlace =
  | { readonly kind: 'post'; readonly url: string }
  | { readonly kind: 'rsync'; readonly place: string }
  | { readonly kind: 'folder'; readonly folder: string }

/** Throws `usage`. */
export function reportPlace(text: string): ReportPlace {
  if (text.startsWith('/')) return { kind: 'folder', folder: text }
  if (/^https?:/.test(text)) return { kind: 'post', url: postUrl(text) }
  // A host behind ssh, or a daemon, as rsync(1) writes them; never an option of it.
  if (/^rsync:\/\/[^/\s]|^[A-Za-z0-9][^\s:/]*::?[^\s]/.test(text)) return { kind: 'rsync', place: text }
  throw new BinderyError('usage', `'${text}' is no place for reports`, {
    hint: 'an absolute path, an http or https URL, rsync://HOST/MODULE, HOST::MODULE or HOST:PATH',
  })
}

export function showReportPlace(at: ReportPlace): string {
  switch (at.kind) {
    case 'folder':
      return at.folder
    case 'post':
      return at.url
    case 'rsync':
      return at.place
  }
}

function postUrl(text: string): string {
  const url = URL.parse(text)
  if (url === null || url.hash !== '') throw new BinderyError('usage', `'${text}' is no URL to post to`)
  return url.href
}
