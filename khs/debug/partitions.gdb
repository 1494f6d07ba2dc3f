# khs debug: @SYSTEMS@. For gdb 12 or newer.
set confirm off
set width 0
set breakpoint pending off
set backtrace limit 64
set print inferior-events off
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

# ---- commands

define where-am-i
  monitor time
end
document where-am-i
Whose window it is, the major frame, and the virtual time.
end
define running
  monitor time
end
document running
The same as where-am-i.
end

define-prefix partition
document partition
partition NAME: goes to the inferior that this partition is.
end

define-prefix break-in
document break-in
break-in NAME PLACE: stops at a function or FILE:LINE of this partition's program, in no other's.
end

define hc
  monitor hc break
end
define-prefix hc
document hc
hc [PARTITION] [NAME]: stops where a hypercall is made, and prints it.
NAME is without khs_: hc sensor port_write. Without arguments: every hypercall.
monitor hc list and monitor hc delete [N] are for what hc and denied have set.
end

define denied
  monitor break denied
end
define-prefix denied
document denied
denied [PARTITION]: stops behind a denial; prints source, event, message and reason. See why.
end

define why
  if $argc
    monitor why $arg0
  else
    monitor why
  end
end
document why
why [N]: explains verdict N, the last one without N: bindings, rules, values.
end

define catch-call
  set $khs_here = $_inferior
@CATCH@
  eval "pipe inferior %d | cat > /dev/null", $khs_here
end
document catch-call
catch-call NAME: catch syscall NAME in every partition. NAME: khs_call, group:ipc, ...
gdb's own `catch syscall` is for the partition that it is given in.
end

define step-window
  monitor arm step window
  continue
end
document step-window
To the begin of the next window.
end
define step-frame
  monitor arm step frame
  continue
end
document step-frame
To the begin of the next major frame.
end
define back-window
  monitor arm back window
  reverse-continue
end
document back-window
Back to the begin of this window, or of the one before.
end
define back-frame
  monitor arm back frame
  reverse-continue
end
document back-frame
Back to the begin of this major frame, or of the one before.
end
define back-instruction
  monitor arm back instruction
  reverse-continue
end
document back-instruction
Before the last instruction that any partition executed; reverse-stepi is for this one's.
end
define back-call
  monitor arm back call
  reverse-continue
end
document back-call
Back to where the last hypercall before here was made.
end
define back-denied
  monitor arm back denied
  reverse-continue
end
document back-denied
Back to the last denial before here.
end
@PARTITIONS@

set confirm on
echo \nkhs: the partitions have not run yet, and no breakpoints are set. New commands:\n
echo khs: hc, denied, why, break-in, partition, where-am-i, catch-call, back-denied, back-call,\n
echo khs: step-window ...; `help NAME` says more, `monitor help` lists what the systems can tell.\n
echo khs: @ABOUT@\n
