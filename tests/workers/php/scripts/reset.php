<?php
echo json_encode([opcache_reset(), getmypid()]);
