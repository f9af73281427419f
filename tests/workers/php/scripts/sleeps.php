<?php
register_shutdown_function(fn() => error_log('shutdown functions run'));
sleep(60);
echo 'slept';
