// Shell scripts for the guest of tests/integration/guest.test.ts.

/** How long each of five sleeps was, in seconds. */
export const SLEEP = `for n in 1 2 3 4 5; do
	read -r before rest < /proc/uptime
	sleep 1
	read -r after rest < /proc/uptime
	awk "BEGIN { printf \\"%.2f \\", $after - $before }"
done
`

/** Counts timer interrupts while a program computes, and looks at the clock many times. */
export const HOT_LOOP = `ticks() { awk '/timer0/ { print $2 }' /proc/interrupts; }
awk 'BEGIN { while (1); }' &
spinner=$!
ticks_before=$(ticks)
read -r start rest < /proc/uptime
last=$start
sleep 1
for n in $(seq 300); do
	read -r now rest < /proc/uptime
	case $(( \${now%.*}\${now#*.} < \${last%.*}\${last#*.} )) in 1) echo "backwards: $last then $now" ;; esac
	last=$now
done
awk "BEGIN { printf \\"ticks %d in %.2f\\n\\", $(ticks) - $ticks_before, $now - $start }"
kill $spinner
`

/** Prints `name: result` lines; /test/data and data.gz are what it works on. */
export const STRESS = `cd /test
sum() { echo "$1: $($2 | cut -d ' ' -f 1)"; }
sum md5 md5sum < data
sum sha1 sha1sum < data
sum sha256 sha256sum < data
sum sha512 sha512sum < data
dd if=data bs=1000 2>/dev/null | dd bs=317 2>/dev/null | sum dd sha256sum
gunzip -c data.gz | sum gunzip sha256sum
gzip -c data | gunzip -c | sum roundtrip sha256sum
bzip2 -c data | bunzip2 -c | sum bzip2 sha256sum

n=0
while [ $n -lt 200 ] && /bin/busybox true; do n=$((n + 1)); done
echo "processes: $n"
jobs=$(for j in 1 2 3 4 5 6 7 8; do (sleep 0.1; echo $j) & done; wait)
echo "jobs: $(echo "$jobs" | sort -n | tr '\\n' ' ')"
echo "sorted: $(seq 20000 | sort -rn | tr '\\n' ' ' | tr ' ' '\\n' | awk '{ s += $1 } END { print s }')"

awk 'BEGIN { for (i = 1; i <= 20000; i++) s += 1 / i; printf "harmonic: %.16e\\n", s }' | sed 's/e+0/e+/'
awk 'BEGIN { for (i = 1; i <= 3000; i++) { x = i; for (j = 0; j < 9; j++) x = (x + i / x) / 2; s = s * 0.75 + x }
	printf "roots: %.16e\\n", s }' | sed 's/e+0/e+/'

sleep 100 & victim=$!
kill -9 $victim
wait $victim 2>/dev/null
echo "killed: $?"
`

/** Has the kernel patch calls and a breakpoint into its own code, run through them, and take them out again. */
export const TRACING = `mkdir -p /tracing
mount -t tracefs tracefs /tracing
cd /tracing
echo 'vfs_*' > set_ftrace_filter
echo function > current_tracer
cat /proc/version > /dev/null
echo 0 > tracing_on
echo "functions: $(grep -c ': vfs_[a-z]* <-' trace)"
echo nop > current_tracer
echo 1 > tracing_on
echo 'p:forks kernel_clone' > kprobe_events
echo 1 > events/kprobes/forks/enable
for n in 1 2 3; do /bin/busybox true; done
echo 0 > events/kprobes/forks/enable
echo "probes: $(grep -c 'forks: (kernel_clone+' trace)"
echo > kprobe_events
for n in 1 2 3; do /bin/busybox true; done
cd /
umount /tracing
echo "status: $?"
`
