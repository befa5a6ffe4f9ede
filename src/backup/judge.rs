//! Whether what the stores hold is as the policy demands. Pure: catalogue + policy + time →
//! findings.
