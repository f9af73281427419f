<?php
ignore_user_abort($_GET['ignore'] === '1');
register_shutdown_function(fn() => error_log('shutdown ' . connection_status()));
while (ob_get_level()) {
    ob_end_clean();
}
for ($i = 0; $i < 200; ++$i) {
    echo 'piece ';
    flush();
    usleep(5000);
    if (connection_aborted()) {
        break;
    }
}
error_log('completed ' . connection_status());
