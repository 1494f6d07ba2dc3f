# khs debug: @SYSTEM@ on @BOARD@. For gdb 10 or newer.
set confirm off
set width 0
set breakpoint pending off
set backtrace limit 64
@WRITES@
directory @SOURCES@
file "@FOLDER@/firmware.elf"
# As if gdb had started the board: it ends with gdb, and does not run on.
set remote query-attached-packet off
target remote @PLACE@

# The board is as after its reset. Partitions are there once the kernel boots the system.
thbreak khs_boot
continue
set $board = (firmware *)port
set $core = core
set $khs_hz = config->clock_hz
set $khs_symbols = -1
set $khs_hc_any = -1
@SPACES@
@TABLES@

# ---- whose memory, whose symbols

# $partition: whose address space is in force; -1 if no partition's is.
define khs-space
  set $khs_space = @ROOT@
  set $partition = -1
@WHERE@
end

# Symbols of this partition's program in the place of those of another one.
define khs-symbols
  if $khs_symbols != $arg0
    if $khs_symbols >= 0
      eval "remove-symbol-file \"@FOLDER@/%s.elf\"", $khs_elf
    end
    set $khs_symbols = $arg0
    eval "set $khs_elf = $khs_name_%d", $khs_symbols
    eval "pipe add-symbol-file \"@FOLDER@/%s.elf\" | cat > /dev/null", $khs_elf
  end
end

define hook-stop
  if $_thread
    khs-space
    if $partition >= 0 && (unsigned long)$pc >= 0x40000000
      khs-symbols $partition
    end
    if (unsigned long)$pc == $khs_exit
      echo khs: the run is over, the board is about to go off\n
    end
  end
end

# The run stops before the board goes off, even if all breakpoints were deleted.
define khs-stop-at-end
  pipe info breakpoints | grep -q " in board_exit "
  if $_shell_exitcode
    pipe tbreak *board_exit | cat > /dev/null
  end
end
khs-stop-at-end
set $khs_exit = (unsigned long)&board_exit
define hookpost-delete
  khs-stop-at-end
end

# The kernel's memory lies where it is; a processor in user mode would refuse to read it.
define khs-look
  set $khs_partition = -1
  set $khs_frame = 0
  set $khs_tick = 0
  pipe maintenance packet Qqemu.PhyMemMode:1 | cat > /dev/null
  if $core->state
    set $khs_partition = $core->state->slot_partition
    set $khs_frame = $core->state->frames
    set $khs_tick = $core->state->now
  end
  pipe maintenance packet Qqemu.PhyMemMode:0 | cat > /dev/null
  set $khs_ns = $khs_tick * 1000000000 / $khs_hz
end

define khs-time
  khs-look
  printf "%llu.%06llu ms  ", (unsigned long long)$khs_ns / 1000000, (unsigned long long)$khs_ns % 1000000
end

define khs-name
  if (int)$arg0 >= 0
    eval "printf \"%%s\", $khs_name_%d", (int)$arg0
  else
    printf "no partition"
  end
end

# ---- commands

@REFUSALS@

define where-am-i
  khs-space
  khs-time
  printf "frame %llu  window of ", (unsigned long long)$khs_frame
  khs-name $khs_partition
  if (unsigned long)$pc >= 0x40000000
    printf ", running its program\n"
  else
    printf ", in the kernel\n"
  end
end
document where-am-i
Whose window it is, the major frame, and the virtual time, of when the kernel last looked.
end
define running
  where-am-i
end
document running
The same as where-am-i.
end

define partition
  khs-no-partition
end
define-prefix partition
document partition
partition NAME: symbols of this partition's program. Stops in a partition choose them, too.
end

# Places are addresses before other symbols come; those of the kernel (below 1 GiB) do not count.
define khs-break
  khs-symbols $arg0
  pipe tbreak $arg1 | cat > /dev/null
  eval "pipe info breakpoints %d | sed -n '/0x0*[1-3]\\{0,1\\}[0-9a-f]\\{1,7\\} /d; s/^[0-9].* \\(0x[0-9a-f]*\\) .*/break *\\1 if @ROOT@ == $khs_space_%d/p' > \"@FOLDER@/break.gdb\"", $bpnum, $arg0
  delete $bpnum
  shell test -s "@FOLDER@/break.gdb" || { echo "khs: the kernel has such a place, the program has none"; false; }
  if $_shell_exitcode
    khs-refuse
  end
  source @FOLDER@/break.gdb
end
define break-in
  khs-no-partition
end
define-prefix break-in
document break-in
break-in NAME PLACE: stops at a function or FILE:LINE of this partition's program, in no other's.
end

define khs-port
  eval "set $khs_text = $khs_port_%d_%u", $arg0, (unsigned int)$arg1
  if $_isvoid($khs_text)
    printf "%u", (unsigned int)$arg1
  else
    printf "%s", $khs_text
  end
end
@CALLS@

define khs-called
  khs-time
  khs-name partition
  printf " calls "
  set $khs_number = (unsigned int)$core->state->entered.number
  if $khs_number < @HYPERCALL_COUNT@
    eval "khs-call-%u %d", $khs_number, partition
  else
    printf "hypercall %u, which there is not\n", $khs_number
  end
end

define khs-hc
  set $khs_wanted = $khs_hc_$arg1
  if $_isvoid($khs_wanted)
    khs-no-hc $arg1
  else
    set $khs_if = "core->state->entered.kind == KHS_RET_HYPERCALL"
    if $arg0 >= 0 && $khs_wanted >= 0
      eval "break khs_enter if %s && partition == %d && core->state->entered.number == %d", $khs_if, $arg0, $khs_wanted
    else
      if $arg0 >= 0
        eval "break khs_enter if %s && partition == %d", $khs_if, $arg0
      else
        if $khs_wanted >= 0
          eval "break khs_enter if %s && core->state->entered.number == %d", $khs_if, $khs_wanted
        else
          eval "break khs_enter if %s", $khs_if
        end
      end
    end
    commands
      khs-called
    end
  end
end
define hc
  if $argc
    khs-no-hc $arg0
  else
    khs-hc -1 any
  end
end
define-prefix hc
document hc
hc [PARTITION] [NAME]: stops where the kernel takes a hypercall, and prints it.
NAME is without khs_: hc sensor port_write. Without arguments: every hypercall.
end

define khs-verdict
  set $khs_policy = $core->state->policy_number[$core->state->policy_active]
  set $khs_from = (unsigned long)record->arg
  set $khs_to = $khs_from + 40
  dump binary memory @VERDICT_FILE@ $khs_from $khs_to
  if record->size > 0
    set $khs_from = (unsigned long)record->data
    set $khs_to = $khs_from + record->size
    dump binary memory @MESSAGE_FILE@ $khs_from $khs_to
  end
  khs-time
  eval "shell @TELL@ %u %u %u", $khs_policy, record->code, record->size
end
define khs-denied
  if $arg0 >= 0
    break *khs_emit if record->type == @VERDICT@ && record->value == 0 && partition == $arg0
  else
    break *khs_emit if record->type == @VERDICT@ && record->value == 0
  end
  commands
    khs-verdict
  end
end
define denied
  if $argc
    khs-no-partition
  else
    khs-denied -1
  end
end
define-prefix denied
document denied
denied [PARTITION]: stops where a verdict is a denial; prints source, event, message and reason.
end
@PARTITIONS@

set confirm on
echo \nkhs: the kernel is about to boot the system, with no breakpoints set. New commands:\n
echo khs: hc, denied, break-in, partition, where-am-i; `help NAME` says more.\n
echo khs: @ABOUT@\n
