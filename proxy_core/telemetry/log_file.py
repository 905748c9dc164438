"""The log in a file, which is cut where it gets long and need not be writable at all times."""

import logging
import logging.handlers
import sys

log = logging.getLogger(__name__)


class LogFile(logging.handlers.RotatingFileHandler):
    """Says once that it cannot write, as on a full disk, and once that it can again; we go on either way."""

    _is_failing = False
    _was_refused = False

    def emit(self, record: logging.LogRecord) -> None:
        self._was_refused = False
        super().emit(record)
        if self._is_failing and not self._was_refused:
            self._is_failing = False
            log.info("the log file is written again")

    def handleError(self, record: logging.LogRecord) -> None:
        self._was_refused = True
        if not self._is_failing:
            # Set first: the line about it comes here too.
            self._is_failing = True
            log.error("the log file cannot be written: %s", sys.exc_info()[1])
