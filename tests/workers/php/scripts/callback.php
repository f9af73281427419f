<?php
header_register_callback(fn() => header('X-Late: set'));
echo 'x';
