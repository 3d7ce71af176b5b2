import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { systemClock } from './ambient.ts'
import { systemError } from './system-error.ts'
import type { X509Certificate } from 'node:crypto'
import type { CertificatePair, ServerCertificate } from '../port/server-certificate.ts'

/** Where they are; one file may hold both. */
export type CertificateFiles = { readonly certificate: string; readonly key: string }

/** Loaded by servers alone: the runtime's TLS takes a while. */
const builtin = process.getBuiltinModule

const maxBytes = 1 << 20

/** What is wrong with the files is said at once. Later, it is told, and the pair before stays. */
export function openCertificate(files: CertificateFiles, tell: (line: string) => void): ServerCertificate {
  let stamp = stampOf(files)
  let told = ''
  const first = readPair(files)
  tellExpiry(files.certificate, first, tell)
  const renewed = (): CertificatePair | undefined => {
    try {
      const now = stampOf(files)
      if (now === stamp) return undefined
      const pair = readPair(files)
      stamp = now
      told = ''
      tell(`${files.certificate}: a new certificate`)
      tellExpiry(files.certificate, pair, tell)
      return pair
    } catch (error) {
      if (!isBinderyError(error)) throw error
      const line = `${error.subject ?? files.certificate}: ${error.message}; the certificate before stays`
      if (line !== told) tell(line)
      told = line
      return undefined
    }
  }
  return {
    pair: first,
    keepNew: (server) => {
      // Before the server's own listener, which begins TLS with what is set then. Nothing has to be looked at while nobody comes.
      server.prependListener('connection', () => {
        const pair = renewed()
        if (pair !== undefined) server.setSecureContext(pair)
      })
    },
  }
}

/** Of the files that the names mean now: they are symbolic links where certbot renews them. */
function stampOf({ certificate, key }: CertificateFiles): string {
  return [certificate, key].map(stampOfFile).join(' ')
}

function stampOfFile(file: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}`
  } catch (cause) {
    throw systemError(cause, file)
  }
}

function readPair({ certificate, key }: CertificateFiles): CertificatePair {
  const pair = { cert: readPem(certificate), key: readPem(key, refuseOpen) }
  const { createPrivateKey } = builtin('node:crypto')
  const x509 = readCertificate(certificate, pair.cert)
  const secret = parsed(key, 'is no private key (PEM), or one with a passphrase', () => createPrivateKey(pair.key))
  if (!x509.checkPrivateKey(secret)) throw new BinderyError('wrong-key', `is not the key of ${certificate}`, { subject: key })
  // The certificates after the first one, and what OpenSSL finds too weak.
  parsed(certificate, 'cannot be used for TLS', () => builtin('node:tls').createSecureContext(pair))
  return pair
}

/** Certificates of authorities that somebody wants believed. */
export function readAuthorities(file: string): Buffer {
  const bytes = readPem(file)
  readCertificate(file, bytes)
  return bytes
}

function readCertificate(file: string, bytes: Buffer): X509Certificate {
  const crypto = builtin('node:crypto')
  return parsed(file, 'is no certificate (PEM)', () => new crypto.X509Certificate(bytes))
}

function parsed<T>(subject: string, message: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new BinderyError('bad-format', message, { subject, cause })
  }
}

type Check = (file: string, mode: number) => void

/** What is checked is what is read. */
function readPem(file: string, check: Check = () => {}): Buffer {
  let handle: number | undefined
  try {
    handle = openSync(file, 'r')
    const status = fstatSync(handle)
    if (!status.isFile()) throw new BinderyError('wrong-type', 'is no regular file', { subject: file })
    if (status.size > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`, { subject: file })
    check(file, status.mode)
    return readFileSync(handle)
  } catch (cause) {
    throw systemError(cause, file)
  } finally {
    if (handle !== undefined) closeSync(handle)
  }
}

/** A group may read it: systems have one for those who serve. */
function refuseOpen(file: string, mode: number): void {
  if ((mode & 0o007) === 0) return
  throw new BinderyError('permission', 'is a secret key, and everybody on this machine may read or change it', {
    subject: file,
    hint: `chmod o= ${file}`,
  })
}

function tellExpiry(file: string, { cert }: CertificatePair, tell: (line: string) => void): void {
  const { validTo } = readCertificate(file, cert)
  // No decision: whoever connects makes it, by a clock of his own.
  if (Date.parse(validTo) < systemClock.now()) tell(`${file}: has expired: ${validTo}`)
}
