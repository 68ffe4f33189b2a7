"""What others have published: calibrations, definitions of error and printed figures.

Facts only, as they stand in public repositories; none of their code is here.

*Brock and Mirman.* The notebook that compares six loss functions, with full depreciation:
https://github.com/sischei/deep_learning_padova_0926/blob/d8aa620822ce62cad7685c88dabd01a58dc9fae3/day1/code/02_deep_equilibrium_nets/02_05_StochasticBM_LossComparison.ipynb
(run of 27 April 2026, two layers of 32 units, 5,000 episodes of 128 states; TensorFlow 2.18
without a GPU).

*Two countries.* The smooth model and the training log of a network:
https://github.com/sischei/deep_learning_padova_0926/blob/2a602c5145fc5f2a606bec298a0eda87575caf54/day1/code/05_irbc/05_01_IRBC_DEQN_smooth.ipynb
(run of 5 May 2026, mode "teaching", 301 segments of 2,560 states; no seconds are printed). The
sparse-grid solution of the same model, after Brumm and Scheidegger (2017), at drawn states:
https://github.com/sischei/deep_learning_padova_0926/blob/d0fc8f5436278f2e40af69872d3b0ad056671ac7/day1/code/05_irbc/reference/irbc_n2_smooth_asg.csv
("a few minutes on a laptop" with one thread, says the README beside it).
"""

#: By loss function: mean and 99th percentile of the absolute error, and seconds of the wall clock.
BROCK_MIRMAN = {
    "MSE": (1.37e-4, 4.03e-4, 18.5),
    "log cosh": (1.25e-4, 3.89e-4, 17.6),
    "Huber": (3.95e-4, 6.24e-4, 18.7),
    "CVaR": (4.41e-4, 8.34e-4, 19.6),
    "quantile": (1.16e-3, 2.29e-3, 18.0),
    "MAE": (2.51e-3, 2.91e-3, 21.4),
}
#: Capital share, discount factor, persistence and innovation of log productivity; nodes.
GROWTH = {"alpha": 0.36, "beta": 0.99, "persistence": 0.9, "deviation": 0.04, "nodes": 5}
#: Their grid: standard deviations of log productivity, half-width of log capital, points of each.
GRID = (3.0, 0.4, 21)

#: What the notebook of two countries prints of its calibration, to so many digits.
TECHNOLOGY, CONSUMPTION = 0.055836, 0.045836
#: Periods without shocks after which paths from different beginnings were to have come together,
#: and had not.
ZERO_SHOCK_PERIODS = 750
#: Mean and largest absolute Euler error, and mean of the resource constraint's.
TWO_COUNTRIES = {
    "simulated": (1.675e-3, 5.781e-3, 6.845e-5),
    "box": (2.628e-3, 1.223e-2, 5.580e-4),
}
#: The two samples: capital and log productivity (in standard deviations) of the box and of where
#: paths begin, periods that are forgotten, periods that are kept, and paths.
BOX = ((0.55, 1.8), 3.0)
PATHS = ((0.65, 1.45), 1.5, 64, 256, 64)

#: The sparse grid's rule at the first twelve states of its box: capital and log productivity of
#: both countries; next capital of both, marginal utility.
SPARSE_GRID = (
    (1.0547846749, 0.9079146855, -0.1468884723, -0.1547111566),
    (1.1253082957, 1.1651022309, 0.0341234482, 0.0734388995),
    (1.0174499966, 1.1740289695, 0.1010731373, -0.1591236799),
    (1.1429617106, 0.8134342301, 0.0734897429, -0.1037902014),
    (1.1452715690, 1.0165844881, -0.0640921950, -0.0247400892),
    (0.8113278685, 0.8497133106, 0.0545998127, 0.0471006437),
    (1.0461540446, 0.9534710217, 0.1591071795, 0.1538673084),
    (1.0742167938, 1.0601837105, 0.0603029538, -0.0355451443),
    (0.8540386020, 1.0885953361, 0.0081133832, -0.0607225998),
    (0.9943341435, 1.1557951337, 0.1388939251, -0.0455055371),
    (1.0286119323, 0.9287477564, 0.0301760097, -0.0518684078),
    (0.9566476002, 1.1561097408, -0.0873095701, 0.0394198863),
)
SPARSE_GRID_RULE = (
    (1.0390250026, 0.9119868115, 1.0813753205),
    (1.1247875278, 1.1662958585, 0.8695185613),
    (1.0477067195, 1.1380521154, 0.9306679758),
    (1.1336434674, 0.8225888436, 1.0237453873),
    (1.1296602737, 1.0257469998, 0.9521102500),
    (0.8192773832, 0.8507889879, 1.1472858700),
    (1.0472609729, 0.9673874428, 0.9373704770),
    (1.0812135491, 1.0524175533, 0.9403698128),
    (0.8753840328, 1.0653467788, 1.0378303578),
    (1.0230134109, 1.1288842962, 0.9203098427),
    (1.0280319246, 0.9291543870, 1.0234832528),
    (0.9582315819, 1.1510461264, 0.9624667026),
)
#: The sparse grid's own Euler errors at these states (its 19-node rule), both countries.
SPARSE_GRID_ERRORS = (
    (5.28e-5, 2.87e-5),
    (1.00e-4, 1.04e-4),
    (6.95e-5, 2.68e-5),
    (9.97e-5, 1.04e-4),
    (2.81e-5, 3.06e-5),
    (1.71e-5, 1.65e-5),
    (2.40e-5, 1.80e-5),
    (3.93e-5, 4.05e-5),
    (6.15e-5, 6.53e-5),
    (6.84e-5, 6.13e-5),
    (4.15e-6, 6.27e-6),
    (4.05e-5, 3.92e-5),
)
