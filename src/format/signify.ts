import { base64, concatBytes, equalBytes, fromBase64, fromLatin1, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/**
 * The files of OpenBSD's signify(1) (doc/spec/signify.md): an `untrusted comment: ` line and a line of base64. Pure
 * codecs; engine/repo/keys.ts does the cryptography. Comments are one char per byte (latin1), since signify allows
 * any byte but the line end in them.
 */

export type SignifyPublicKey = {
  readonly comment: string
  /** Eight random bytes that tie the three kinds of file together. */
  readonly keynum: Uint8Array
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Uint8Array
}

export type SignifySecretKey = {
  readonly comment: string
  /** Of bcrypt_pbkdf; 0 means that there is no passphrase. */
  readonly rounds: number
  /** 16 bytes. */
  readonly salt: Uint8Array
  /** The first 8 bytes of SHA-512 over the 64 bytes of the open key. */
  readonly checksum: Uint8Array
  readonly keynum: Uint8Array
  /** Seed and public key, 64 bytes, xored with the key stream of the passphrase. */
  readonly sealed: Uint8Array
}

export type SignifySignature = {
  readonly comment: string
  readonly keynum: Uint8Array
  /** 64 bytes, RFC 8032. */
  readonly signature: Uint8Array
}

export type SignedMessage = { readonly signature: SignifySignature; readonly message: Uint8Array }

const commentHeader = 'untrusted comment: '
/** signify reads the comment line into 1024 bytes, with its header. */
export const maxCommentBytes = 1024 - commentHeader.length
const algorithm = 'Ed'
const kdfAlgorithm = 'BK'

export function encodePublicKey(key: SignifyPublicKey): Uint8Array {
  return encodeFile(key.comment, [fromLatin1(algorithm), sized(key.keynum, 8), sized(key.publicKey, 32)])
}

export function decodePublicKey(file: Uint8Array): SignifyPublicKey {
  return publicKeyOf(decodeFile(file, 42, 'public key'))
}

/** A public key in one word: the second line of its file. */
export function publicKeyLine({ keynum, publicKey }: Omit<SignifyPublicKey, 'comment'>): string {
  return base64(concatBytes([fromLatin1(algorithm), sized(keynum, 8), sized(publicKey, 32)]))
}

export function decodePublicKeyLine(line: string): SignifyPublicKey {
  return publicKeyOf(decodeLines({ comment: '', encoded: line }, 42, 'public key'))
}

function publicKeyOf({ comment, blob }: Decoded): SignifyPublicKey {
  return { comment, keynum: blob.slice(2, 10), publicKey: blob.slice(10, 42) }
}

export function encodeSecretKey(key: SignifySecretKey): Uint8Array {
  const rounds = new Uint8Array(4)
  new DataView(rounds.buffer).setUint32(0, key.rounds)
  const fields = [sized(key.salt, 16), sized(key.checksum, 8), sized(key.keynum, 8), sized(key.sealed, 64)]
  return encodeFile(key.comment, [fromLatin1(algorithm + kdfAlgorithm), rounds, ...fields])
}

export function decodeSecretKey(file: Uint8Array): SignifySecretKey {
  const { comment, blob } = decodeFile(file, 104, 'secret key')
  if (latin1(blob.subarray(2, 4)) !== kdfAlgorithm) throw new BinderyError('not-supported', 'is sealed by an unknown algorithm')
  return {
    comment,
    rounds: new DataView(blob.buffer, blob.byteOffset).getUint32(4),
    salt: blob.slice(8, 24),
    checksum: blob.slice(24, 32),
    keynum: blob.slice(32, 40),
    sealed: blob.slice(40, 104),
  }
}

export function encodeSignature(signature: SignifySignature): Uint8Array {
  return encodeFile(signature.comment, [fromLatin1(algorithm), sized(signature.keynum, 8), sized(signature.signature, 64)])
}

export function decodeSignature(file: Uint8Array): SignifySignature {
  return signatureOf(decodeFile(file, 74, 'signature'))
}

/** Signature and message in one file (`signify -e`): the two lines, then the message as it is. */
export function encodeSignedMessage({ signature, message }: SignedMessage): Uint8Array {
  return concatBytes([encodeSignature(signature), message])
}

/** Splits only; nothing of the message may be used before its signature is verified. */
export function decodeSignedMessage(file: Uint8Array): SignedMessage {
  const { lines, rest } = splitLines(file)
  return { signature: signatureOf(decodeLines(lines, 74, 'signature')), message: rest }
}

function signatureOf({ comment, blob }: Decoded): SignifySignature {
  return { comment, keynum: blob.slice(2, 10), signature: blob.slice(10, 74) }
}

function encodeFile(comment: string, fields: readonly Uint8Array[]): Uint8Array {
  if (comment.length > maxCommentBytes) throw new BinderyError('over-limit', `the comment is longer than ${maxCommentBytes} bytes`)
  if (/[\n\0]|[^\u0000-\u00ff]/.test(comment)) throw new BinderyError('bad-format', 'the comment holds a line end, NUL or more than bytes')
  return fromLatin1(`${commentHeader}${comment}\n${base64(concatBytes(fields))}\n`)
}

function sized(field: Uint8Array, size: number): Uint8Array {
  if (field.length !== size) throw new Error(`a signify field holds ${field.length} bytes, not ${size}`)
  return field
}

type Decoded = { readonly comment: string; readonly blob: Uint8Array }
type Lines = { readonly comment: string; readonly encoded: string }

function decodeFile(file: Uint8Array, size: number, what: string): Decoded {
  const { lines, rest } = splitLines(file)
  if (rest.length > 0)
    throw new BinderyError('bad-format', `goes on after the ${what}`, { hint: 'is it a signature with its message embedded?' })
  return decodeLines(lines, size, what)
}

/** The longest blob is a secret key: 140 chars. */
const maxEncodedChars = 140

function splitLines(file: Uint8Array): { readonly lines: Lines; readonly rest: Uint8Array } {
  const head = latin1(file.subarray(0, commentHeader.length + maxCommentBytes + 1 + maxEncodedChars + 1))
  if (!head.startsWith(commentHeader)) throw new BinderyError('bad-format', `does not begin with '${commentHeader}'`)
  const commentEnd = head.indexOf('\n')
  if (commentEnd < 0 || commentEnd > commentHeader.length + maxCommentBytes)
    throw new BinderyError('bad-format', 'has no line end after its comment')
  // signify reads it as a C string, and so refuses the file.
  if (head.slice(0, commentEnd).includes('\0')) throw new BinderyError('bad-format', 'holds NUL in its comment')
  const end = head.indexOf('\n', commentEnd + 1)
  if (end < 0) throw new BinderyError('bad-format', 'has no line end after its base64')
  const lines = { comment: head.slice(commentHeader.length, commentEnd), encoded: head.slice(commentEnd + 1, end) }
  return { lines, rest: file.subarray(end + 1) }
}

function decodeLines({ comment, encoded }: Lines, size: number, what: string): Decoded {
  const blob = fromBase64(encoded)
  // One way to write each key: bits that are left over must be zero, as for signify's own reader.
  if (blob === undefined || base64(blob) !== encoded) throw new BinderyError('bad-format', 'does not hold base64 in its second line')
  if (blob.length !== size) throw new BinderyError('bad-format', `is no signify ${what}: it holds ${blob.length} bytes, not ${size}`)
  if (latin1(blob.subarray(0, 2)) !== algorithm) throw new BinderyError('not-supported', `is no Ed25519 ${what}`)
  return { comment, blob }
}

export function sameKeynum(a: { readonly keynum: Uint8Array }, b: { readonly keynum: Uint8Array }): boolean {
  return equalBytes(a.keynum, b.keynum)
}
