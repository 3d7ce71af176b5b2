/** Nearly all heads of packing lists end within. */
const usual = 12 << 10
/** Whatever size a server claims; beyond a package of 1 GB another request does no harm. */
const most = 1 << 20

/** So many bytes are looked at first: what a head takes, and the digests of the signature before it. */
export function headBytes(size: number): number {
  return usual + Math.min(most, Math.ceil(size / 65_536) * 65)
}
