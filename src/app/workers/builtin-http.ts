// node:http as CommonJS has it. An `import` evaluates all that the module offers, and some of it comes with fetch and WebSocket:
// 11 MB and 30 ms of each worker whose application does not want them.

export const http = process.getBuiltinModule('node:http')
