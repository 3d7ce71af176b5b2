import { BinderyError } from './error.ts'

/** What a dist's name says: `<product>-<revision>-<date>-<arch>`. A product may contain `-`, the others may not. */
export type DistName = {
  readonly product: string
  readonly revision: string
  /** YYYYMMDD */
  readonly date: string
  readonly arch: string
}

const productPattern = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/
const wordPattern = /^[A-Za-z0-9][A-Za-z0-9._+]{0,63}$/
const datePattern = /^[0-9]{8}$/

export function formatDistName(name: DistName): string {
  return `${name.product}-${name.revision}-${name.date}-${name.arch}`
}

/** Undefined unless the four parts are there. Split from the right, since only the product may hold a `-`. */
export function parseDistName(text: string): DistName | undefined {
  const parts = text.split('-')
  if (parts.length < 4) return undefined
  const [revision, date, arch] = parts.slice(-3) as [string, string, string]
  const name = { product: parts.slice(0, -3).join('-'), revision, date, arch }
  return isDistName(name) ? name : undefined
}

export function isDistName(name: DistName): boolean {
  return productPattern.test(name.product) && wordPattern.test(name.revision) && datePattern.test(name.date) && wordPattern.test(name.arch)
}

/** A channel is the line of releases of one product on one architecture, written `product/arch`. */
export type Channel = { readonly product: string; readonly arch: string }

export function formatChannel(channel: Channel): string {
  return `${channel.product}/${channel.arch}`
}

export function parseChannel(text: string): Channel {
  const [product, arch, ...rest] = text.split('/')
  if (product === undefined || arch === undefined || rest.length > 0 || !productPattern.test(product) || !wordPattern.test(arch)) {
    throw new BinderyError('usage', `'${text}' is no channel`, { hint: 'a channel is PRODUCT/ARCH, for instance base/amd64' })
  }
  return { product, arch }
}

/** The channel's TUF role. Unambiguous: an architecture holds no `-`. */
export function channelRole(channel: Channel): string {
  return `${channel.product}-${channel.arch}`
}

/** Undefined for a role that is no channel's. */
export function channelOfRole(role: string): Channel | undefined {
  const dash = role.lastIndexOf('-')
  const [product, arch] = [role.slice(0, Math.max(dash, 0)), role.slice(dash + 1)]
  return productPattern.test(product) && wordPattern.test(arch) ? { product, arch } : undefined
}

export function channelOf(name: DistName): Channel {
  return { product: name.product, arch: name.arch }
}

export function deltaFileName(oldName: string, newName: string): string {
  return `${oldName}_to_${newName}.delta`
}

export function manifestDeltaFileName(oldName: string, newName: string): string {
  return `${oldName}_to_${newName}.mtree.delta`
}
