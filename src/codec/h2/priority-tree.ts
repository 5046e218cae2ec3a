// RFC 7540's priorities (5.3.1 to 5.3.4), which RFC 9113 has given up and some clients still send: each stream depends on
// another or on the root and has a weight among its siblings. A stream's rank is its depth; its weight here is its share of
// the whole. Streams that are closed, or not open yet, keep their place for those that depend on them, up to a limit.

import type { Stream } from './stream.ts'

const DEFAULT_WEIGHT = 16
/** Places kept for streams that are not open. */
const KEPT_MAX = 32

/** Of a stream (RFC 7540, 5.3): a weight of 1 to 256, and the stream it depends on, 0 for the root. */
export interface Priority {
  readonly weight: number
  readonly dependsOn: number
}

class Node {
  readonly id: number
  parent: Node | null = null
  readonly children = new Set<Node>()
  weight = DEFAULT_WEIGHT
  stream: Stream | null = null

  constructor(id: number) {
    this.id = id
  }
}

export class PriorityTree {
  private readonly root = new Node(0)
  private readonly nodes = new Map<number, Node>()
  /** Nodes without a stream, the longest unused first. */
  private readonly kept = new Set<Node>()

  constructor() {
    this.root.weight = 256
  }

  depend(id: number, on: number, exclusive: boolean, weight: number): void {
    const node = this.nodeOf(id)
    // Who depends on a stream nobody knows depends on the root.
    const known = on === 0 ? this.root : this.nodes.get(on)
    const parent = known ?? this.root
    node.weight = weight
    const turned = isBelow(parent, node)
    if (turned) this.move(parent, node.parent!)
    if (exclusive && known !== undefined)
      for (const child of parent.children) if (child !== node) this.move(child, node)
    this.move(node, parent)
    update(turned ? parent : node)
    if (parent.stream === null && this.kept.delete(parent)) this.kept.add(parent)
  }

  /** What was said of a stream; null if nothing was. */
  priorityOf(id: number): Priority | null {
    const node = this.nodes.get(id)
    return node === undefined ? null : { weight: node.weight, dependsOn: node.parent!.id }
  }

  place(stream: Stream): void {
    const node = this.nodeOf(stream.id)
    node.stream = stream
    this.kept.delete(node)
    update(node)
  }

  displace(stream: Stream): void {
    const node = this.nodes.get(stream.id)
    if (node === undefined || node.stream !== stream) return
    node.stream = null
    this.keep(node)
  }

  private nodeOf(id: number): Node {
    let node = this.nodes.get(id)
    if (node !== undefined) return node
    node = new Node(id)
    this.nodes.set(id, node)
    this.move(node, this.root)
    this.keep(node)
    return node
  }

  private keep(node: Node): void {
    this.kept.add(node)
    if (this.kept.size <= KEPT_MAX) return
    for (const oldest of this.kept) {
      this.drop(oldest)
      break
    }
  }

  /** Its children go to its parent. */
  private drop(node: Node): void {
    for (const child of node.children) {
      this.move(child, node.parent!)
      update(child)
    }
    node.parent!.children.delete(node)
    this.kept.delete(node)
    this.nodes.delete(node.id)
  }

  private move(node: Node, parent: Node): void {
    node.parent?.children.delete(node)
    node.parent = parent
    parent.children.add(node)
  }
}

function isBelow(node: Node, other: Node): boolean {
  for (let at: Node | null = node.parent; at !== null; at = at.parent) if (at === other) return true
  return false
}

/** Sets rank and share of all streams below a node, itself included. */
function update(top: Node): void {
  const waiting = [top]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.stream !== null) {
      node.stream.rank = 0
      node.stream.weight = 1
      for (let at = node; at.parent !== null; at = at.parent) {
        node.stream.rank++
        node.stream.weight *= at.weight / 256
      }
    }
    waiting.push(...node.children)
  }
}
