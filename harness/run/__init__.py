"""Run one scenario in a lab, on this kernel or in a guest: request, jobs, session, samples, result."""
