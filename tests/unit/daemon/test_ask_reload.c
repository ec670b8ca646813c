/* Requests a reload of another process. Child processes act as the daemon. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomdb/daemon/ask_reload.h"
#include "atomdb/util/error.h"
#include "harness.h"

/* Starts a process that blocks SIGHUP, or not, and answers the first one with `reply`. It exits with 0 if SIGHUP
 * carried ASK_RELOAD. */
static pid_t start(bool blocks, int reply) {
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sigset_t set;
		struct signalfd_siginfo info;
		alarm(20);
		sigemptyset(&set);
		sigaddset(&set, SIGHUP);
		sigprocmask(blocks ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
		(void)!write(ready[1], "r", 1);
		if (!blocks) {
			pause();
			_exit(1);
		}
		/* sigwait(3) would unblock the signal. */
		int fd = signalfd(-1, &set, 0);
		if (read(fd, &info, sizeof(info)) != sizeof(info))
			_exit(1);
		sigqueue((pid_t)info.ssi_pid, SIGUSR1, (union sigval){.sival_int = reply});
		_exit(info.ssi_code == SI_QUEUE && info.ssi_int == ASK_RELOAD ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int end_of(pid_t pid) {
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void waits_for_the_result(void **state) {
	(void)state;
	pid_t pid = start(true, ASK_RELOAD_DONE);
	assert_int_equal(ask_reload(pid), 0);
	assert_int_equal(end_of(pid), 0);
	pid = start(true, ASK_RELOAD_REFUSED);
	assert_int_equal(ask_reload(pid), ATOMDB_E_SYNTAX);
	assert_int_equal(end_of(pid), 0);
}

/* The signal would end the process. */
static void a_process_that_does_not_block_the_signal_gets_none(void **state) {
	(void)state;
	pid_t pid = start(false, 0);
	assert_int_equal(ask_reload(pid), -EINVAL);
	int status;
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(WTERMSIG(end_of(pid)), SIGKILL);
}

static void a_process_that_is_gone_is_an_error(void **state) {
	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(end_of(pid), 0);
	assert_int_equal(ask_reload(pid), -ESRCH);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_the_result),
		cmocka_unit_test(a_process_that_does_not_block_the_signal_gets_none),
		cmocka_unit_test(a_process_that_is_gone_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
