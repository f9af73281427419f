<?php
ignore_user_abort(false);
echo "This is output 1\n";
$finished = frankenphp_finish_request();
echo "This is output 2\n";
flush();
usleep(50000);
error_log(json_encode([$finished, fastcgi_finish_request(), strlen(file_get_contents('php://input')), connection_aborted()]));
