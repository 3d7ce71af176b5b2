/** What a machine is called in its reports (doc/spec/report.md): it stands in lines of text, and in names of files. */
export function isMachineName(text: string): boolean {
  return /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$/.test(text)
}
