repair() { job_end 0; }
