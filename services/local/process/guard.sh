#!/bin/sh
# sh guard.sh GRACE_SECONDS COMMAND [ARGUMENT...]
#
# Becomes COMMAND (same pid, by exec) and leaves one small watcher beside it. Descriptor 3 is the read end of a pipe
# whose write end the starter alone holds: its end-of-file means that the starter is gone, kill -9 included. The
# watcher then sends TERM, and KILL after GRACE_SECONDS. It is a child of the process it watches, so as long as its
# parent is that pid, the pid cannot have been recycled.
grace=$1
shift
(
  trap '' INT TERM HUP
  # Holding no output pipe open: the starter reads the command's end-of-file when the command ends.
  exec </dev/null >/dev/null 2>&1
  self=$(exec sh -c 'echo "$PPID"')
  still_there() {
    if [ -r /proc/self/stat ]; then
      read -r _ _ _ parent _ </proc/self/stat
    else
      parent=$(ps -o ppid= -p "$self" | tr -d ' ')
    fi
    [ "$parent" = "$$" ]
  }
  read -r _ <&3
  still_there || exit 0
  kill -TERM "$$"
  waited=0
  while [ "$waited" -lt "$grace" ]; do
    sleep 1
    still_there || exit 0
    waited=$((waited + 1))
  done
  kill -KILL "$$"
) &
exec "$@" 3<&-
