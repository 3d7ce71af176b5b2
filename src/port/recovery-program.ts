/**
 * The sh program that carries a journal out without us (doc/spec/journal.md), of the same version as what writes the journal. Read before
 * anything live changes: what it is read from may be what is replaced.
 */
export type RecoveryProgram = () => Promise<Uint8Array>
