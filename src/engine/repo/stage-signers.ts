import { BinderyError } from '../../base/error.ts'
import { readKeyNotes } from '../../format/key-notes.ts'
import { metadataKey } from './layout.ts'
import { signersOf } from './verify-signatures.ts'
import type { Repository } from './repository.ts'
import type { StagedFile } from './stage.ts'

/** What one of those who must sign a file asks for, and what there is of it, as key ids. */
export type SigningState = {
  /** `root 2`, for instance. */
  readonly of: string
  readonly threshold: number
  readonly signed: readonly string[]
  readonly missing: readonly string[]
}

export function signingStates({ signed, authorities }: StagedFile): readonly SigningState[] {
  return authorities.map((authority) => {
    const there = signersOf(signed, authority)
    const missing = authority.role.keyIds.filter((id) => !there.includes(id))
    return { of: authority.of, threshold: authority.role.threshold, signed: there, missing }
  })
}

/** The names that the repository and the staged files have for keys. */
export function holdersOf(repository: Repository | undefined, files: readonly StagedFile[]): ReadonlyMap<string, string> {
  const before = repository === undefined ? [] : [repository.root.signed.value, repository.targets.signed.value]
  return new Map([...before, ...files.map(({ signed }) => signed.value)].flatMap(({ extra }) => [...readKeyNotes(extra).holders]))
}

/** `bad-signature` with those who could still sign. */
export function verifyStaged(staged: StagedFile, holders: ReadonlyMap<string, string>): void {
  for (const { of, threshold, signed, missing } of signingStates(staged)) {
    if (signed.length >= threshold) continue
    const names = missing.map((id) => holders.get(id) ?? id.slice(0, 16)).join(', ')
    throw new BinderyError('bad-signature', `has ${signed.length} of the ${threshold} signatures that ${of} asks for`, {
      subject: metadataKey(staged.role, staged.version),
      hint: `'bindery sign' adds one; not there: ${names}`,
    })
  }
}
