/**
 * Leaves out the texts that people read: the message and the hint of a BinderyError, and what `fail(…)` says. Tests ask for
 * codes and subjects, so that a text can be put better without a test that is in the way.
 */

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
  if (call?.type === 'NewExpression') return call.callee?.name === 'BinderyError' && call.arguments?.[1] === node
  return call?.type === 'CallExpression' && call.callee?.name === 'fail' && call.arguments?.[0] === node
}

function isHint({ node, parentPath }: Path): boolean {
  if (node.type === 'ObjectExpression') return node.properties?.length === 1 && node.properties.every(isHintProperty)
  return parentPath !== null && isHintProperty(parentPath.node) && parentPath.node.value === node
}

function isHintProperty({ type, key }: Node): boolean {
  return type === 'ObjectProperty' && key?.name === 'hint'
}
