// Constants and structures of the general interface, with Xen's own spelling.
// Sources: xen/include/public/xen.h, arch-x86/xen.h, arch-x86/xen-x86_64.h, features.h (interface of Xen 4.17).
import { embed, struct, u8, u16, u32, u64 } from './struct.ts'

// ---- hypercall numbers (xen.h) -----------------------------------------------------------------------------------------

export const __HYPERVISOR_set_trap_table = 0
export const __HYPERVISOR_mmu_update = 1
export const __HYPERVISOR_set_gdt = 2
export const __HYPERVISOR_stack_switch = 3
export const __HYPERVISOR_set_callbacks = 4
export const __HYPERVISOR_fpu_taskswitch = 5
export const __HYPERVISOR_sched_op_compat = 6
export const __HYPERVISOR_platform_op = 7
export const __HYPERVISOR_set_debugreg = 8
export const __HYPERVISOR_get_debugreg = 9
export const __HYPERVISOR_update_descriptor = 10
export const __HYPERVISOR_memory_op = 12
export const __HYPERVISOR_multicall = 13
export const __HYPERVISOR_update_va_mapping = 14
export const __HYPERVISOR_set_timer_op = 15
export const __HYPERVISOR_event_channel_op_compat = 16
export const __HYPERVISOR_xen_version = 17
export const __HYPERVISOR_console_io = 18
export const __HYPERVISOR_physdev_op_compat = 19
export const __HYPERVISOR_grant_table_op = 20
export const __HYPERVISOR_vm_assist = 21
export const __HYPERVISOR_update_va_mapping_otherdomain = 22
export const __HYPERVISOR_iret = 23
export const __HYPERVISOR_vcpu_op = 24
export const __HYPERVISOR_set_segment_base = 25
export const __HYPERVISOR_mmuext_op = 26
export const __HYPERVISOR_xsm_op = 27
export const __HYPERVISOR_nmi_op = 28
export const __HYPERVISOR_sched_op = 29
export const __HYPERVISOR_callback_op = 30
export const __HYPERVISOR_xenoprof_op = 31
export const __HYPERVISOR_event_channel_op = 32
export const __HYPERVISOR_physdev_op = 33
export const __HYPERVISOR_hvm_op = 34
export const __HYPERVISOR_sysctl = 35
export const __HYPERVISOR_domctl = 36
export const __HYPERVISOR_kexec_op = 37
export const __HYPERVISOR_tmem_op = 38
export const __HYPERVISOR_argo_op = 39
export const __HYPERVISOR_xenpmu_op = 40
export const __HYPERVISOR_dm_op = 41
export const __HYPERVISOR_hypfs_op = 42
export const __HYPERVISOR_arch_0 = 48
export const __HYPERVISOR_arch_1 = 49
export const __HYPERVISOR_arch_2 = 50
export const __HYPERVISOR_arch_3 = 51
export const __HYPERVISOR_arch_4 = 52
export const __HYPERVISOR_arch_5 = 53
export const __HYPERVISOR_arch_6 = 54
export const __HYPERVISOR_arch_7 = 55

// ---- virtual interrupts (xen.h) ----------------------------------------------------------------------------------------

export const VIRQ_TIMER = 0
export const VIRQ_DEBUG = 1
export const VIRQ_CONSOLE = 2
export const VIRQ_DOM_EXC = 3
export const VIRQ_TBUF = 4
export const VIRQ_DEBUGGER = 6
export const VIRQ_XENOPROF = 7
export const VIRQ_CON_RING = 8
export const VIRQ_PCPU_STATE = 9
export const VIRQ_MEM_EVENT = 10
export const VIRQ_ARGO = 11
export const VIRQ_ENOMEM = 12
export const VIRQ_XENPMU = 13
export const VIRQ_ARCH_0 = 16
export const VIRQ_ARCH_1 = 17
export const VIRQ_ARCH_2 = 18
export const VIRQ_ARCH_3 = 19
export const VIRQ_ARCH_4 = 20
export const VIRQ_ARCH_5 = 21
export const VIRQ_ARCH_6 = 22
export const VIRQ_ARCH_7 = 23
export const NR_VIRQS = 24

// ---- memory management (xen.h) -----------------------------------------------------------------------------------------

export const MMU_NORMAL_PT_UPDATE = 0
export const MMU_MACHPHYS_UPDATE = 1
export const MMU_PT_UPDATE_PRESERVE_AD = 2
export const MMU_PT_UPDATE_NO_TRANSLATE = 3
export const MMUEXT_PIN_L1_TABLE = 0
export const MMUEXT_PIN_L2_TABLE = 1
export const MMUEXT_PIN_L3_TABLE = 2
export const MMUEXT_PIN_L4_TABLE = 3
export const MMUEXT_UNPIN_TABLE = 4
export const MMUEXT_NEW_BASEPTR = 5
export const MMUEXT_TLB_FLUSH_LOCAL = 6
export const MMUEXT_INVLPG_LOCAL = 7
export const MMUEXT_TLB_FLUSH_MULTI = 8
export const MMUEXT_INVLPG_MULTI = 9
export const MMUEXT_TLB_FLUSH_ALL = 10
export const MMUEXT_INVLPG_ALL = 11
export const MMUEXT_FLUSH_CACHE = 12
export const MMUEXT_SET_LDT = 13
export const MMUEXT_NEW_USER_BASEPTR = 15
export const MMUEXT_CLEAR_PAGE = 16
export const MMUEXT_COPY_PAGE = 17
export const MMUEXT_FLUSH_CACHE_GLOBAL = 18
export const MMUEXT_MARK_SUPER = 19
export const MMUEXT_UNMARK_SUPER = 20
export const UVMF_NONE = 0
export const UVMF_TLB_FLUSH = 1 << 0
export const UVMF_INVLPG = 2 << 0
export const UVMF_FLUSHTYPE_MASK = 3 << 0
export const UVMF_MULTI = 0
export const UVMF_LOCAL = 0
export const UVMF_ALL = 1 << 2

// ---- console, assists, domain ids (xen.h) --------------------------------------------------------------------------------

export const CONSOLEIO_write = 0
export const CONSOLEIO_read = 1
export const VMASST_CMD_enable = 0
export const VMASST_CMD_disable = 1
export const VMASST_TYPE_4gb_segments = 0
export const VMASST_TYPE_4gb_segments_notify = 1
export const VMASST_TYPE_writable_pagetables = 2
export const VMASST_TYPE_pae_extended_cr3 = 3
export const VMASST_TYPE_architectural_iopl = 4
export const VMASST_TYPE_runstate_update_flag = 5
export const VMASST_TYPE_m2p_strict = 32
export const DOMID_FIRST_RESERVED = 0x7ff0
export const DOMID_SELF = 0x7ff0
export const DOMID_IO = 0x7ff1
export const DOMID_XEN = 0x7ff2
export const DOMID_COW = 0x7ff3
export const DOMID_INVALID = 0x7ff4
export const DOMID_IDLE = 0x7fff
export const DOMID_MASK = 0x7fff

// ---- start_info flags and limits (xen.h) ---------------------------------------------------------------------------------

export const XEN_PVCLOCK_TSC_STABLE_BIT = 1 << 0
export const XEN_PVCLOCK_GUEST_STOPPED = 1 << 1
export const MAX_GUEST_CMDLINE = 1024
export const SIF_PRIVILEGED = 1 << 0
export const SIF_INITDOMAIN = 1 << 1
export const SIF_MULTIBOOT_MOD = 1 << 2
export const SIF_MOD_START_PFN = 1 << 3
export const SIF_VIRT_P2M_4TOOLS = 1 << 4
export const SIF_PM_MASK = 0xff << 8

// ---- arch-x86/xen.h, xen-x86_64.h ----------------------------------------------------------------------------------------

export const FIRST_RESERVED_GDT_PAGE = 14
export const XEN_LEGACY_MAX_VCPUS = 32
export const FLAT_RING3_CS32 = 0xe023
export const FLAT_RING3_CS64 = 0xe033
export const FLAT_RING3_DS32 = 0xe02b
export const FLAT_RING3_DS64 = 0x0000
export const FLAT_RING3_SS32 = 0xe02b
export const FLAT_RING3_SS64 = 0xe02b
export const SEGBASE_FS = 0
export const SEGBASE_GS_USER = 1
export const SEGBASE_GS_KERNEL = 2
export const SEGBASE_GS_USER_SEL = 3
export const VGCF_i387_valid = 1 << 0
export const VGCF_in_kernel = 1 << 2
export const VGCF_failsafe_disables_events = 1 << 3
export const VGCF_syscall_disables_events = 1 << 4
export const VGCF_online = 1 << 5
export const VGCF_in_syscall = 1 << 8
/** Aliases of the flat selectors for kernel code and stack. */
export const FLAT_KERNEL_CS = FLAT_RING3_CS64
export const FLAT_KERNEL_SS = FLAT_RING3_SS64
export const FLAT_KERNEL_DS = FLAT_RING3_DS64

/** Linear addresses as canonical signed numbers (see Gva). */
export const HYPERVISOR_VIRT_START = -0x8000_0000_0000
export const HYPERVISOR_VIRT_END = -0x7800_0000_0000
export const MACH2PHYS_VIRT_START = -0x8000_0000_0000
export const MACH2PHYS_VIRT_END = -0x7fc0_0000_0000

// ---- features.h ----------------------------------------------------------------------------------------------------------

export const XENFEAT_writable_page_tables = 0
export const XENFEAT_writable_descriptor_tables = 1
export const XENFEAT_auto_translated_physmap = 2
export const XENFEAT_supervisor_mode_kernel = 3
export const XENFEAT_pae_pgdir_above_4gb = 4
export const XENFEAT_mmu_pt_update_preserve_ad = 5
export const XENFEAT_highmem_assist = 6
export const XENFEAT_gnttab_map_avail_bits = 7
export const XENFEAT_hvm_callback_vector = 8
export const XENFEAT_hvm_safe_pvclock = 9
export const XENFEAT_hvm_pirqs = 10
export const XENFEAT_dom0 = 11
export const XENFEAT_grant_map_identity = 12
export const XENFEAT_memory_op_vnode_supported = 13
export const XENFEAT_ARM_SMCCC_supported = 14
export const XENFEAT_linux_rsdp_unrestricted = 15
export const XENFEAT_not_direct_mapped = 16
export const XENFEAT_direct_mapped = 17
export const XENFEAT_NR_SUBMAPS = 1

// ---- structures ------------------------------------------------------------------------------------------------------------

export const vcpu_time_info = struct('xen.h: struct vcpu_time_info', 32, {
	version: u32(0),
	tsc_timestamp: u64(8),
	system_time: u64(16),
	tsc_to_system_mul: u32(24),
	tsc_shift: u8(28),
	flags: u8(29),
})

export const arch_vcpu_info = struct('arch-x86/xen-x86_64.h: struct arch_vcpu_info', 16, { cr2: u64(0, 'both'), pad: u64(8) })

export const vcpu_info = struct('xen.h: struct vcpu_info', 64, {
	evtchn_upcall_pending: u8(0, 'both'),
	evtchn_upcall_mask: u8(1, 'both'),
	evtchn_pending_sel: u64(8, 'both'),
	arch: embed(16, arch_vcpu_info.size, 'both'),
	time: embed(32, vcpu_time_info.size, 'xen'),
})

export const arch_shared_info = struct('arch-x86/xen.h: struct arch_shared_info', 48, {
	max_pfn: u64(0, 'guest'),
	pfn_to_mfn_frame_list_list: u64(8, 'guest'),
	nmi_reason: u64(16, 'xen'),
	p2m_cr3: u64(24, 'guest'),
	p2m_vaddr: u64(32, 'guest'),
	p2m_generation: u64(40, 'guest'),
})

export const shared_info = struct('xen.h: struct shared_info', 3136, {
	vcpu_info: embed(0, vcpu_info.size, 'both', XEN_LEGACY_MAX_VCPUS),
	evtchn_pending: u64(2048, 'both', 64),
	evtchn_mask: u64(2560, 'both', 64),
	wc_version: u32(3072),
	wc_sec: u32(3076),
	wc_nsec: u32(3080),
	wc_sec_hi: u32(3084),
	arch: embed(3088, arch_shared_info.size, 'guest'),
})

export const multicall_entry = struct('xen.h: struct multicall_entry', 64, {
	op: u64(0, 'guest'),
	result: u64(8, 'xen'),
	args: u64(16, 'guest', 6),
})

export const mmu_update = struct('xen.h: struct mmu_update', 16, { ptr: u64(0, 'guest'), val: u64(8, 'guest') })

/** The unions arg1 (mfn, linear_addr) and arg2 (nr_ents, vcpumask, src_mfn). */
export const mmuext_op = struct('xen.h: struct mmuext_op', 24, { cmd: u32(0, 'guest'), arg1: u64(8, 'guest'), arg2: u64(16, 'guest') })

export const trap_info = struct('arch-x86/xen.h: struct trap_info', 16, {
	vector: u8(0, 'guest'),
	flags: u8(1, 'guest'),
	cs: u16(2, 'guest'),
	address: u64(8, 'guest'),
})

/** Top of the kernel stack at HYPERVISOR_iret. */
export const iret_context = struct('arch-x86/xen-x86_64.h: struct iret_context', 72, {
	rax: u64(0, 'guest'),
	r11: u64(8, 'guest'),
	rcx: u64(16, 'guest'),
	flags: u64(24, 'guest'),
	rip: u64(32, 'guest'),
	cs: u64(40, 'guest'),
	rflags: u64(48, 'guest'),
	rsp: u64(56, 'guest'),
	ss: u64(64, 'guest'),
})

export const cpu_user_regs = struct('arch-x86/xen-x86_64.h: struct cpu_user_regs', 200, {
	r15: u64(0),
	r14: u64(8),
	r13: u64(16),
	r12: u64(24),
	rbp: u64(32),
	rbx: u64(40),
	r11: u64(48),
	r10: u64(56),
	r9: u64(64),
	r8: u64(72),
	rax: u64(80),
	rcx: u64(88),
	rdx: u64(96),
	rsi: u64(104),
	rdi: u64(112),
	error_code: u32(120),
	entry_vector: u32(124),
	rip: u64(128),
	cs: u16(136),
	saved_upcall_mask: u8(140),
	rflags: u64(144),
	rsp: u64(152),
	ss: u16(160),
	es: u16(168),
	ds: u16(176),
	fs: u16(184),
	gs: u16(192),
})

export const vcpu_guest_context = struct('arch-x86/xen.h: struct vcpu_guest_context', 5168, {
	fpu_ctxt: embed(0, 512),
	flags: u64(512),
	user_regs: embed(520, cpu_user_regs.size),
	trap_ctxt: embed(720, trap_info.size, 'xen', 256),
	ldt_base: u64(4816),
	ldt_ents: u64(4824),
	gdt_frames: u64(4832, 'xen', 16),
	gdt_ents: u64(4960),
	kernel_ss: u64(4968),
	kernel_sp: u64(4976),
	ctrlreg: u64(4984, 'xen', 8),
	debugreg: u64(5048, 'xen', 8),
	event_callback_eip: u64(5112),
	failsafe_callback_eip: u64(5120),
	syscall_callback_eip: u64(5128),
	vm_assist: u64(5136),
	fs_base: u64(5144),
	gs_base_kernel: u64(5152),
	gs_base_user: u64(5160),
})
