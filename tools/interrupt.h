// Ctrl-C: the first one ends the work at the next safe point, a second one ends the program.
#pragma once

namespace mfs::tools {

// SIGINT and SIGTERM. Also: a pipe that nobody reads and a file size limit are errors of the write, as a full disk is, not
// the end of the program.
void catch_signals();
int interrupting_signal();  // 0: none so far

}  // namespace mfs::tools
