# khs debug: @SYSTEMS@. For gdb 12 or newer.
set confirm off
set width 0
set breakpoint pending off
set backtrace limit 64
set print inferior-events off
# A way back may take its time.
set remotetimeout 30
@DATA@
set sysroot @FOLDER@
directory @SOURCES@
# What one partition waits for another one does: all of them go on.
set schedule-multiple on
@ATTACHED@
@CONNECT@
# gdb keeps its first inferior in the state of being connected to until it is resumed, and would wait
# for ever for the end of a `continue` of another one that stops in it.
pipe stepi 0 | cat > /dev/null
# Before version 18 gdb asks for the registers of its first inferior alone.
@REGISTERS@

# ---- commands

define catch-call
  if $argc == 1
  set $khs_here = $_inferior
@CATCH@
  eval "pipe inferior %d | cat > /dev/null", $khs_here
  else
  echo khs: catch-call NAME: one hypercall or group is wanted: khs_call, group:ipc, ...\n
  khs-refuse
  end
end
document catch-call
catch-call NAME: catch syscall NAME in every partition. NAME: khs_call, group:ipc, ...
gdb's own `catch syscall` is for the partition that it is given in, and so is each of the catchpoints
that this sets, with a number of its own. `delete` without a number deletes them together.
end
@COMMANDS@

set confirm on
echo \nkhs: no breakpoints are set, and where-am-i tells how far it is. New commands:\n
echo khs: hc, denied, break-fault, why, break-in, partition, where-am-i, catch-call, back-denied,\n
echo khs: back-call, step-window ...; `help NAME` says more, `monitor help` lists what the systems can tell.\n
echo khs: @ABOUT@\n
