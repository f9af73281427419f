#include "php/execution.h"

#include "php/sapi.h"

namespace fivefold::worker::php {

Deadline deadline;

void execute(const char* script) {
  // Outside of a request an error in it would have nowhere to jump to.
  volatile bool started = false;
  zend_first_try {
    started = php_request_startup() == SUCCESS;
    if (started && !turn.body_broken) {
      zend_file_handle file;
      zend_stream_init_filename(&file, script);
      file.primary_script = true;
      php_execute_script(&file);
      zend_destroy_file_handle(&file);
    }
  }
  zend_end_try();
  // The script's time is over; what follows is bounded by the server.
  deadline.clear();
  php_request_shutdown(nullptr);
}

}  // namespace fivefold::worker::php
