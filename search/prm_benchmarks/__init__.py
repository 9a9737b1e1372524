"""What PRMs are measured by: ProcessBench, PRMBench, and the reliability that follows."""
