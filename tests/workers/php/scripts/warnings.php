<?php
echo $undefined;
error_log("two\nlines");
trigger_error('my notice', E_USER_NOTICE);
