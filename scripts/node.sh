# Runs the pinned Node, whatever "node" in the PATH is; the scripts of package.json start with it. npm before 11 leaves no
# node_modules/.bin/node: two packages have that link, and with the one for the other processor it is taken away again.

root=$(cd "${0%/*}/.." && pwd -P) || exit 1

case $(uname -s)-$(uname -m) in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  *) platform=none ;;
esac

bin=$root/node_modules/node-$platform/bin
# What the script starts finds the same one.
[ -x "$bin/node" ] && PATH=$bin:$PATH && export PATH
exec node "$@"
