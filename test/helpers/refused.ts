import { BinderyError } from '../../src/base/error.ts'

/** Code and subject of the failure; whatever else happens is thrown, or said. */
export async function refused(work: Promise<unknown>): Promise<readonly (string | undefined)[]> {
  try {
    await work
  } catch (error) {
    if (error instanceof BinderyError) return [error.code, error.subject]
    throw error
  }
  return ['not refused']
}
