// A worker that crashes at its start.
throw new Error('this worker throws');
