// How a bundle comes by the modules of the runtime. `import` makes a namespace of a module and evaluates all that it exports, so that of node:fs also the
// promises are loaded, and with them the streams and the line editor (doc/decisions/0155).

/** Slow to load, and not needed by every run: what is used of them loads them then. */
const slow = ['child_process', 'crypto', 'fs/promises', 'readline', 'stream/promises', 'timers/promises', 'tty', 'zlib']

/** The code of a bundle with its static imports of the runtime's modules replaced. Whoever imports one is evaluated after what it uses, as before. */
export function withoutNamespaces(code) {
  const replaced = code.replaceAll(/^import \{([^}]*)\} from "node:([a-z_/]+)";$/gm, (_, list, module) => {
    const source = `process.getBuiltinModule("node:${module}")`
    const names = list.split(',').map((name) => name.trim().split(' as '))
    if (!slow.includes(module)) return `const { ${names.map((name) => name.join(': ')).join(', ')} } = ${source};`
    return names.map(([name, alias = name]) => loadedWhenUsed(source, name, alias)).join('\n')
  })
  const left = /^import .*["']node:.*$/m.exec(replaced)
  if (left !== null) throw new Error(`cannot be replaced: ${left[0]}`)
  return replaced
}

/** Functions and constants; of classes there are none. A function takes its own place when it is first called. */
function loadedWhenUsed(source, name, alias) {
  if (name === 'constants') return `const ${alias} = new Proxy({}, { get: (_, name) => ${source}.constants[name] });`
  if (/^[A-Z]/.test(name)) throw new Error(`${name} is a class`)
  return `let ${alias} = (...given) => (${alias} = ${source}.${name})(...given);`
}
