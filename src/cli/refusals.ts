/** Why commands of both xm and xl cannot act: each completes "cannot act: ...". */
export const NO_PCI = 'there are no physical PCI devices to pass through'
export const NO_SAVE = 'a domain cannot be saved yet'
export const NO_SCHEDULER = 'domains are scheduled by the host'
export const NO_LABELS = 'security labels and policies are not supported yet'
export const ONE_VCPU = 'a domain has one virtual processor for now'
