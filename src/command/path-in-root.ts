import { BinderyError } from '../base/error.ts'
import { pathFromText, rootPath } from '../base/path.ts'
import { withoutTrailing } from '../base/trailing.ts'
import type { RelPath } from '../base/path.ts'

/** An operand that names a path as it is in a root: from its top, with a slash before it, with `./` as find(1) has it, or with neither. */
export function pathInRoot(operand: string): RelPath {
  const path = pathFromText(withoutTrailing(operand.replace(/^(?:\.?\/+)+/, ''), '/'))
  if (path === undefined || path === rootPath) throw new BinderyError('usage', `'${operand}' is no path in a root`)
  return path
}
