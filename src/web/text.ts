const lenient = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/** For people: what is no UTF-8 is shown as such, and colours of terminals are left out. */
export function fromUtf8Lossy(bytes: Uint8Array): string {
  return lenient.decode(bytes).replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
}
