/** `NFS Security update` to `nfs-security-update`: a word of names of files, products and steps; `usual` where nothing is left. */
export function slugOf(text: string, usual: string): string {
  const slug = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 48)
    .replace(/-$/, '')
  return slug === '' ? usual : slug
}
