/** What OpenBSD's package tools know of the machine that they run on: of a running system, or of a folder that stands for one. */
export type OpenbsdSystem = {
  /** `sysctl -n kern.version`: `OpenBSD 7.8-current (GENERIC.MP) #123: …`. Throws `not-found` where nothing tells. */
  kernVersion(): Promise<string>
  /** `arch -s`: `amd64`. */
  arch(): Promise<string>
  /** /etc/installurl, without the blanks around it; undefined where there is none. */
  installUrl(): string | undefined
  /** The folders of /var/db/pkg, sorted by bytes. */
  packageFolders(): readonly string[]
  /**
   * The first bytes of the +CONTENTS of one of them: `bytes` of them, or fewer where the file ends; good until the next call.
   * Synchronous: hundreds of small files are read faster than they can be waited for.
   */
  packingListHead(folder: string, bytes: number): Uint8Array
  /** Another text whenever a packing list is another file or has changed, by what the file system says of them. */
  packagesState(): string
  /** The module of the installed quirks package, undefined where there is none. */
  quirksModule(): Uint8Array | undefined
  /** /etc/signify/NAME.pub, undefined where there is none. */
  signifyKey(name: string): Uint8Array | undefined
}
