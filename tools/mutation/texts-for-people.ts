/**
 * Leaves out the texts that people read: messages and hints of errors. Tests ask for codes and subjects, so that a text can be put better without a test that is in the way.
 */

/** Functions that make an error of a message, and which argument that is. */
const messageAt: Readonly<Record<string, number>> = { BinderyError: 1, fail: 0, bad: 0, malformed: 1 }

/** As much as is needed of a NodePath of Babel. */
type Path = { readonly node: Node; readonly parentPath: Path | null }
type Node = {
  readonly type: string
  readonly callee?: { readonly name?: string }
  readonly arguments?: readonly unknown[]
  readonly key?: { readonly name?: string }
  readonly value?: unknown
  readonly properties?: readonly Node[]
}

export const textsForPeople = {
  shouldIgnore(path: Path): string | undefined {
    return isMessage(path) || isHint(path) ? 'a text for people' : undefined
  },
}

function isMessage({ node, parentPath }: Path): boolean {
  const call = parentPath?.node
  if (call?.type !== 'NewExpression' && call?.type !== 'CallExpression') return false
  const at = messageAt[call.callee?.name ?? '']
  return at !== undefined && call.arguments?.[at] === node
}

function isHint({ node, parentPath }: Path): boolean {
  if (node.type === 'ObjectExpression') return node.properties?.length === 1 && node.properties.every(isHintProperty)
  return parentPath !== null && isHintProperty(parentPath.node) && parentPath.node.value === node
}

function isHintProperty({ type, key }: Node): boolean {
  return type === 'ObjectProperty' && key?.name === 'hint'
}
