/**
 * PID 1 of the guest that `npm start`, the tests and the benchmarks boot. What it does is chosen on the kernel's command line:
 *
 *   xenotype.mode=shell            (default) an interactive shell on the console, under busybox init
 *   xenotype.mode=show             prints uname -a, the head of /proc/cpuinfo, /sys/hypervisor/type and /proc/uptime; powers off
 *   xenotype.run=PROGRAM[,ARG...]  runs the program, prints its exit status, powers off
 *   xenotype.hostname=NAME         (default domU)
 *
 * GUEST_READY begins the line that it prints when user space is up.
 */
export const GUEST_READY = 'xenotype: guest ready'

export const INIT_SCRIPT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=vt102
busybox mount -t proc proc /proc
busybox --install -s 2>/dev/null
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts

mode=shell
run=
name=domU
for word in $(cat /proc/cmdline); do
	case $word in
	xenotype.mode=*) mode=\${word#*=} ;;
	xenotype.run=*) mode=run run=\${word#*=} ;;
	xenotype.hostname=*) name=\${word#*=} ;;
	esac
done
hostname "$name"
ip link set lo up

for module in $(cat /lib/modules/xen.order); do
	insmod "/lib/modules/$module.ko"
done
if [ -d /proc/xen ]; then
	mount -t xenfs xenfs /proc/xen
fi

echo "${GUEST_READY} after $(cut -d ' ' -f 1 /proc/uptime) s"
case $mode in
show)
	uname -a
	head -n 12 /proc/cpuinfo
	cat /sys/hypervisor/type
	cat /proc/uptime
	poweroff -f
	;;
run)
	(
		IFS=,
		set -f
		exec $run
	)
	echo "xenotype: exit status $?"
	poweroff -f
	;;
*)
	exec /sbin/init
	;;
esac
`

/** busybox init's: a shell on the console, started again when it ends. */
export const INITTAB = `::respawn:/bin/cttyhack /bin/sh -l
::ctrlaltdel:/sbin/reboot
`

/** What the kernel itself runs for \`xm shutdown\` and \`xm reboot\` (kernel/reboot.c: poweroff_cmd, reboot_cmd), at once and without a word. */
export const POWEROFF_SCRIPT = `#!/bin/sh
exec busybox poweroff -f
`
export const REBOOT_SCRIPT = `#!/bin/sh
exec busybox reboot -f
`

export const PROFILE = `export PS1='\\u@\\h:\\w\\$ '
`
